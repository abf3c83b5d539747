/** Bytes over a bare socket: for what no HTTP client would send. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The head of a request, up to where its body begins. */
export function head(method: string, path: string, ...headers: string[]): string {
  return [`${method} ${path} HTTP/1.1`, "Host: localhost", ...headers, "", ""].join("\r\n");
}

/** Sends the bytes and returns every answer that came until the server closed the connection. */
export async function sendRaw(url: string, bytes: string | Buffer): Promise<RawAnswer[]> {
  const socket = await openSocket(url);
  socket.write(bytes);
  return parseAnswers(await readToEnd(socket));
}

export async function openSocket(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, "connect");
  // From here on a reset is one more way to be closed.
  socket.on("error", () => {});
  return socket;
}

/** All that arrives until the other side closes; a reset counts as a close. */
export function readToEnd(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  return new Promise((resolve) => {
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("close", () => resolve(Buffer.concat(chunks)));
  });
}

/** Answers that lie one behind the other, each with its Content-Length. */
export function parseAnswers(bytes: Buffer): RawAnswer[] {
  const answers: RawAnswer[] = [];
  let rest = bytes;
  while (rest.length > 0) {
    const end = rest.indexOf("\r\n\r\n");
    if (end < 0) throw new Error(`half an answer: ${rest.toString("latin1")}`);
    const [statusLine = "", ...lines] = rest.subarray(0, end).toString("latin1").split("\r\n");
    const headers = Object.fromEntries(
      lines.map((line) => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1]);
    // The program says how long its answers are; Node's own come in chunks and are the last.
    const chunked = headers["transfer-encoding"] === "chunked";
    const length = chunked ? rest.length : Number(headers["content-length"] ?? 0);
    const bodyStart = end + 4;
    const body = rest.subarray(bodyStart, bodyStart + length).toString("utf8");
    answers.push({ status, headers, body });
    rest = rest.subarray(bodyStart + length);
  }
  return answers;
}
