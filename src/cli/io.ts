// What a command may touch of the world, so that commands can be tested without one.

export interface Io {
  out(text: string): void;
  err(text: string): void;
  /** Standard output is a terminal. */
  readonly isTty: boolean;
  /** One of the three standard streams is a terminal, which sends its signals to everybody at it. Absent: none is. */
  readonly atTerminal?: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `SANCTUM_HOME`, or `~/.sanctum`. */
  readonly home: string;
  /** `--config`, or `<home>/sanctum-proxy/config.yaml`. */
  readonly configFile: string;
}
