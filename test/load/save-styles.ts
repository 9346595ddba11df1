// The ways in which editors and deployments save a file.

import { mkdirSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

export const saveStyles = ["in place", "rename", "unlink and create", "symlink swap"] as const;

export type SaveStyle = (typeof saveStyles)[number];

export function save(file: string, text: string, style: SaveStyle): void {
  switch (style) {
    case "in place":
      writeFileSync(file, text, { mode: 0o600 });
      break;
    case "rename":
      writeFileSync(`${file}.new`, text, { mode: 0o600 });
      renameSync(`${file}.new`, file);
      break;
    case "unlink and create":
      rmSync(file, { force: true });
      writeFileSync(file, text, { mode: 0o600 });
      break;
    case "symlink swap": {
      const folder = join(dirname(file), "versions");
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      // Two are enough: the one that is read, and the one that takes its place.
      const target = join(folder, isLinkTo(file, join(folder, "a.yaml")) ? "b.yaml" : "a.yaml");
      writeFileSync(target, text, { mode: 0o600 });
      rmSync(`${file}.link`, { force: true });
      symlinkSync(target, `${file}.link`);
      renameSync(`${file}.link`, file);
      break;
    }
    default:
      style satisfies never;
  }
}

function isLinkTo(file: string, target: string): boolean {
  try {
    return readlinkSync(file) === target;
  } catch {
    return false; // No link, or not there.
  }
}

/** Each of them is refused as a whole. */
export const faultyConfigs = [
  "agents: [",
  "agents:\n  default: { daily_usd: lots }\n",
  "no_such_key: true\n",
  "{",
  "listen: 5\n",
];
