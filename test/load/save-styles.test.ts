import { lstatSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { save, saveStyles } from "./save-styles.ts";

test("after each way to save, whatever was used before, the file holds the new text", () => {
  const folder = mkdtempSync(join(tmpdir(), "sanctum-save-"));
  const file = join(folder, "config.yaml");
  try {
    let number = 0;
    for (const first of saveStyles) {
      for (const second of saveStyles) {
        for (const style of [first, second]) {
          const text = `text ${number++}`;
          const inode = style === "in place" && number > 1 ? lstatSync(file).ino : null;
          save(file, text, style);
          expect(readFileSync(file, "utf8")).toBe(text);
          expect(style === "symlink swap" && !lstatSync(file).isSymbolicLink()).toBe(false);
          if (inode !== null) expect(lstatSync(file).ino).toBe(inode);
        }
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
