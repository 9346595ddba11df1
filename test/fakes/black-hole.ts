import { connect } from "node:net";

const hole = `import { createServer } from "node:net";
const server = createServer(() => undefined);
server.listen({ port: 0, host: "127.0.0.1" }, () => console.log(server.address().port));`;

/**
 * Where no connection is ever taken: a process that listens, and then stands still. Once its queue is full the system drops every
 * further connection. `ends`: what is to be called afterwards is added to it.
 */
export async function blackHole(ends: (() => unknown)[]): Promise<string> {
  const child = Bun.spawn([process.execPath, "-e", hole], { stdio: ["ignore", "pipe", "inherit"] });
  const { value } = await child.stdout.getReader().read();
  const port = Number(Buffer.from(value!).toString());
  child.kill("SIGSTOP");
  let taken = 0;
  const full = Promise.withResolvers<void>();
  // The runtime listens with a queue of 512; the system keeps one more.
  const fillers = Array.from({ length: 530 }, () =>
    connect(port, "127.0.0.1", () => ++taken === 513 && full.resolve()).on("error", () => undefined),
  );
  ends.push(async () => {
    for (const filler of fillers) filler.destroy();
    child.kill("SIGKILL");
    await child.exited;
  });
  await full.promise;
  return `http://127.0.0.1:${port}`;
}
