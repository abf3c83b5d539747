/** Is there a balancectl at this address? Answered from `GET /healthz`, which every one answers. */
import { parseObject, propertyOf } from "./answer.ts";

/** "other": something answers there, and it is not balancectl. "nothing": nobody answered. */
export type ProbeResult = "balancectl" | "other" | "nothing";

/** Never throws. An answer that takes longer than `timeoutMs` counts as "nothing". */
export async function probeServer(url: string, timeoutMs = 1_000): Promise<ProbeResult> {
  let text: string;
  try {
    const answer = await fetch(`${url.replace(/\/+$/, "")}/healthz`, {
      signal: AbortSignal.timeout(timeoutMs),
      redirect: "manual",
    });
    text = await answer.text();
  } catch {
    return "nothing";
  }
  const service = propertyOf(propertyOf(parseObject(text), "data"), "service");
  return service === "balancectl" ? "balancectl" : "other";
}
