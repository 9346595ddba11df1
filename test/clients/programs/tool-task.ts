// The task that every SDK program does: two questions, tools that work, fail and take nothing.

export interface Arguments {
  /** Of the npm package, an alias of package.json. */
  readonly packageName: string;
  readonly flavour: string;
  /** Of the gateway, without `/v1`. */
  readonly baseUrl: string;
  readonly model: string;
  readonly token: string;
  readonly stream: boolean;
  /** What the tool knows and no model can. */
  readonly secret: string;
}

export interface Outcome {
  /** The texts that the program's user would read, one a question. */
  readonly answers: readonly string[];
  /** Tool calls that were carried out. */
  readonly calls: readonly string[];
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** The models that the answers named. */
  readonly models: readonly string[];
}

export const SYSTEM = "Be brief. Seien Sie kurz.";
export const QUESTIONS = ["Which words belong to the keys?", "FOLLOW-UP: and how many keys are there?"] as const;

export const keySchema = {
  type: "object" as const,
  properties: { key: { type: "string" as const, description: "The key." } },
  required: ["key"],
  additionalProperties: false,
};

export const noSchema = { type: "object" as const, properties: {}, additionalProperties: false };

/** Throws for a key that does not exist. */
export function lookUp(key: string, secret: string): string {
  if (key === "missing") throw new Error("there is no such key");
  return `${key} = ${secret}-${key.length}`;
}

export function countKeys(): string {
  return "2 keys";
}

/** The program's arguments, in JSON: one word of the command line. */
export function readArguments(): Arguments {
  return JSON.parse(process.argv[2] ?? "{}") as Arguments;
}

/** One line of JSON, which is all that a program prints. */
export function printOutcome(outcome: Outcome): void {
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}

/** Runs one of the two tools as the agents do: what it throws goes back to the model. */
export function runTool(name: string, input: unknown, secret: string): { text: string; failed: boolean } {
  try {
    if (name === "count_keys") return { text: countKeys(), failed: false };
    const key = typeof input === "object" && input !== null && "key" in input ? String(input.key) : "missing";
    return { text: lookUp(key, secret), failed: false };
  } catch (error) {
    return { text: error instanceof Error ? error.message : String(error), failed: true };
  }
}

export const MAX_STEPS = 8;
