import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readTlsFiles } from "./tls-files.ts";

const folder = mkdtempSync(join(tmpdir(), "sanctum-tls-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const certFile = file("cert.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
const keyFile = file("key.pem", "-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\n");

test("certificate and key are read as they are", () => {
  expect(readTlsFiles({ certFile, keyFile })).toMatchObject({ cert: expect.stringContaining("MIIB") });
});

test("a missing file, and one of another kind, are told by the setting's name and with what to do", () => {
  const nowhere = join(folder, "nowhere.pem");
  expect(() => readTlsFiles({ certFile: nowhere, keyFile })).toThrow(
    `tls.cert_file: ${nowhere} can't be read (ENOENT); correct the path`,
  );
  expect(() => readTlsFiles({ certFile, keyFile: certFile })).toThrow(/^tls\.key_file: .* holds no PEM private key/);
  // What is in the file is not told: it may be a key in another form.
  const secret = file("key.der", "MHcCAQEEIcanary");
  expect(() => readTlsFiles({ certFile, keyFile: secret })).not.toThrow(/canary/);
});
