import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { BalancectlError } from "../errors.ts";

/**
 * Reads a request's body as JSON: what it needs for one small document and no more (Express's own
 * reader takes a third of the throughput of a request that does nothing else).
 * @throws BalancectlError UNSUPPORTED_MEDIA_TYPE, PAYLOAD_TOO_LARGE, INVALID_JSON, INVALID_REQUEST
 */
export function readJsonBody(req: IncomingMessage, bytesMax: number): Promise<unknown> {
  const { "content-type": type, "content-encoding": encoding } = req.headers;
  if (type !== "application/json" && !jsonType.test(type ?? "")) {
    return refuse(req, new BalancectlError("UNSUPPORTED_MEDIA_TYPE"));
  }
  if (encoding !== undefined && encoding !== "identity") {
    const message = `The request body must not be compressed (Content-Encoding: ${encoding})`;
    return refuse(req, new BalancectlError("UNSUPPORTED_MEDIA_TYPE", message));
  }
  const transfer = req.headers["transfer-encoding"];
  if (transfer !== undefined && transfer.toLowerCase() !== "chunked") {
    const message = `The request body must not be encoded (Transfer-Encoding: ${transfer})`;
    return refuse(req, new BalancectlError("UNSUPPORTED_MEDIA_TYPE", message));
  }
  const tooLarge = () =>
    new BalancectlError("PAYLOAD_TOO_LARGE", `The request body is larger than ${bytesMax} bytes`);
  if (Number(req.headers["content-length"]) > bytesMax) return refuse(req, tooLarge());

  return new Promise((resolve, reject) => {
    let chunks: Buffer[] = [];
    let size = 0;
    req.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size <= bytesMax) chunks.push(chunk);
      else {
        // The rest is read and dropped, so that the client gets to read the answer.
        chunks = [];
        reject(tooLarge());
      }
    });
    req.on("end", () => {
      const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
      try {
        resolve(parse(body));
      } catch (error) {
        reject(error);
      }
    });
    req.on("error", () => {
      reject(new BalancectlError("INVALID_REQUEST", "The request ended before its body did"));
    });
  });
}

/** The same for a request that may come without a body, which then stands for {}. */
export async function readOptionalJsonBody(
  req: IncomingMessage,
  bytesMax: number,
): Promise<unknown> {
  const { "content-length": length, "transfer-encoding": encoding } = req.headers;
  const empty = encoding === undefined && (length === undefined || length === "0");
  return empty ? {} : await readJsonBody(req, bytesMax);
}

/** A media type is ASCII without case; the only charset that JSON has is UTF-8 (RFC 8259). */
const jsonType = /^application\/json\s*(;\s*charset\s*=\s*"?utf-?8"?\s*)?$/i;

function parse(body: Buffer): unknown {
  if (body.length === 0) {
    throw new BalancectlError("INVALID_JSON", "The request body is empty; it must be JSON");
  }
  if (!isUtf8(body)) throw new BalancectlError("INVALID_JSON", "The request body is not UTF-8");
  try {
    return JSON.parse(body.toString("utf8"));
  } catch (error) {
    throw new BalancectlError("INVALID_JSON", undefined, { cause: error });
  }
}

function refuse(req: IncomingMessage, error: BalancectlError): Promise<never> {
  req.resume();
  return Promise.reject(error);
}
