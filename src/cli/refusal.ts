/** A failure that the person can do something about; the message says what. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly exitCode: number;
  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

export const exitFailed = 1;
export const exitUsage = 2;
export const exitConfiguration = 78;
