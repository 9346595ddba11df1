// The yardstick: the least that a pass-through on Bun can do. Reads the body, sends it on, hands the answer back; no
// check, no meter, no log.
// Run: BUN_CONFIG_MAX_HTTP_REQUESTS=65336 bun bench/peers/bare-bun.ts PORT UPSTREAM_PORT

const [port, upstreamPort] = process.argv.slice(2).map(Number);
const upstream = `http://127.0.0.1:${upstreamPort}`;

Bun.serve({
  hostname: "127.0.0.1",
  port: port!,
  // Streams of the benchmark may pause longer than Bun's ten seconds.
  idleTimeout: 0,
  async fetch(request) {
    const { pathname } = new URL(request.url);
    const response = await fetch(upstream + pathname, {
      method: request.method,
      headers: {
        "content-type": "application/json",
        authorization: request.headers.get("authorization") ?? "",
        "accept-encoding": "identity",
      },
      body: await request.arrayBuffer(),
      redirect: "manual",
      signal: request.signal,
    });
    return new Response(response.body, {
      status: response.status,
      headers: { "content-type": response.headers.get("content-type") ?? "" },
    });
  },
});
