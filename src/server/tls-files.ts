import { readFileSync } from "node:fs";

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** What the listener serves TLS with. Throws an Error that names the setting and what to do where a file is missing or no PEM. */
export function readTlsFiles({ certFile, keyFile }: TlsFiles): { readonly cert: string; readonly key: string } {
  return { cert: pemIn(certFile, "tls.cert_file", "CERTIFICATE"), key: pemIn(keyFile, "tls.key_file", "PRIVATE KEY") };
}

/** RFC 7468. */
function pemIn(file: string, setting: string, label: string): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unreadable";
    throw new Error(`${setting}: ${file} can't be read (${code}); correct the path, or its owner and mode`, { cause });
  }
  if (new RegExp(`-----BEGIN [A-Z ]*${label}-----`).test(text)) return text;
  throw new Error(`${setting}: ${file} holds no PEM ${label.toLowerCase()}; name the right file`);
}
