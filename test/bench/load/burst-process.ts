/**
 * A burst: opens the sockets, and when all of them stand, sends one request on each, all at once;
 * and again on each that has its answer, if it is to be more than one. Knows of HTTP what it needs
 * to see where an answer ends, so that as little as possible of what is measured is this client.
 * Takes its parameters as JSON on the command line, prints JSON.
 */
import { connect, type Socket } from "node:net";

export interface Burst {
  readonly url: string;
  readonly sockets: number;
  /** What is sent, as it goes over the wire. */
  readonly request: string;
  readonly requestsEach: number;
}

export interface BurstResult {
  /** From the first connect until all sockets were open, and from then until the last answer. */
  readonly openMs: number;
  readonly answerMs: number;
  readonly open: number;
  readonly byStatus: Readonly<Record<string, number>>;
  readonly broken: number;
}

/** Handshakes under way at once: beyond the kernel's backlog a connect waits for a second. */
const connectingMax = 500;

/** Stands where a status would. */
const broken = "broken";

const parameters = JSON.parse(process.argv[2] ?? "") as Burst;
process.stdout.write(JSON.stringify(await run(parameters)));

async function run({ url, sockets, request, requestsEach }: Burst): Promise<BurstResult> {
  const startedAt = performance.now();
  const open = await openAll(new URL(url), sockets);
  const openedAt = performance.now();
  const byStatus: Record<string, number> = {};
  const count = (status: string) => {
    byStatus[status] = (byStatus[status] ?? 0) + 1;
  };
  await Promise.all(open.map((socket) => talk(socket, request, requestsEach, count)));
  const answeredAt = performance.now();
  // A reset leaves no port behind in TIME_WAIT.
  for (const socket of open) socket.resetAndDestroy();
  const { [broken]: brokenCount = 0, ...statuses } = byStatus;
  return {
    openMs: openedAt - startedAt,
    answerMs: answeredAt - openedAt,
    open: open.length,
    byStatus: statuses,
    broken: brokenCount + sockets - open.length,
  };
}

/** Those that could be opened. */
async function openAll({ hostname, port }: URL, count: number): Promise<Socket[]> {
  const open: Socket[] = [];
  let left = count;
  const lane = async () => {
    while (left > 0) {
      left -= 1;
      const socket = connect({ host: hostname, port: Number(port) });
      const connected = await new Promise<boolean>((resolve) => {
        socket.once("connect", () => resolve(true));
        socket.once("error", () => resolve(false));
      });
      if (connected) open.push(socket);
    }
  };
  await Promise.all(Array.from({ length: connectingMax }, lane));
  return open;
}

/** Sends the request as often as asked, each after the answer to the one before. */
function talk(
  socket: Socket,
  request: string,
  times: number,
  count: (status: string) => void,
): Promise<void> {
  return new Promise((resolve) => {
    let left = times;
    let text = "";
    const fail = () => {
      if (left > 0) count(broken);
      left = 0;
      resolve();
    };
    socket.on("error", fail);
    socket.on("close", fail);
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      if (!isComplete(text)) return;
      count(text.slice(9, 12));
      text = "";
      left -= 1;
      if (left > 0) socket.write(request, "latin1");
      else resolve();
    });
    socket.write(request, "latin1");
  });
}

function isComplete(text: string): boolean {
  const head = text.indexOf("\r\n\r\n");
  if (head < 0) return false;
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, head))?.[1];
  return text.length >= head + 4 + Number(length ?? 0);
}
