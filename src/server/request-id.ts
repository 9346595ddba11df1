import type { Clock } from "../clock.ts";

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** `req_` and a ULID (ulid/spec): sortable by time, 80 random bits. */
export function createRequestIds(clock: Clock): () => string {
  const pool = new Uint8Array(16 * 64);
  let at = pool.length;
  return () => {
    if (at === pool.length) {
      crypto.getRandomValues(pool);
      at = 0;
    }
    let id = "";
    for (let time = clock.now(), i = 0; i < 10; i++, time = Math.floor(time / 32)) id = alphabet[time % 32]! + id;
    for (const end = at + 16; at < end; at++) id += alphabet[pool[at]! & 31]!;
    return `req_${id}`;
  };
}
