import { dlopen, ptr } from "bun:ffi";

const monotonicClock = 1;

/**
 * Microseconds of the machine's monotonic clock: the same for all processes, so that one can subtract what another one
 * wrote. Bun's own `performance.now()` begins at 0 in each process and its `timeOrigin` is only as good as the moment
 * in which it was taken; here the origin is calibrated once.
 */
export function createMachineClock(): () => number {
  const libc = dlopen(process.platform === "darwin" ? "libSystem.dylib" : "libc.so.6", {
    clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
  });
  const time = new BigInt64Array(2);
  const address = ptr(time);
  let origin = 0;
  let tightest = Infinity;
  for (let i = 0; i < 1_000; i++) {
    const before = performance.now();
    libc.symbols.clock_gettime(monotonicClock, address);
    const after = performance.now();
    if (after - before >= tightest) continue;
    tightest = after - before;
    origin = Number(time[0]!) * 1e6 + Number(time[1]!) / 1e3 - ((before + after) / 2) * 1e3;
  }
  libc.close();
  return () => origin + performance.now() * 1e3;
}
