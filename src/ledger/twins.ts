/**
 * Twins: the same request under the same idempotency key, while the first is still on its way. They wait for
 * its outcome, which they would find in the database, one batch each:
 *
 *     waiting ──the first has an outcome──▶ answered with it
 *        └──────the first has failed──────▶ the next of them goes, as the first; the others wait for it
 *
 * Another request under the key is none: the database decides it.
 */
import { BalancectlError } from "../errors.ts";
import type { Operation, Outcome, Refusal } from "./operation.ts";
import { scopedKey, weightOf } from "./take-batch.ts";

export interface Twins {
  /** @throws BalancectlError what the first got, OVERLOADED */
  submit(operation: Operation): Promise<Outcome>;
  /** How much of the room for those that wait they take. */
  weight(): number;
}

interface Twin {
  readonly operation: Operation;
  readonly resolve: (outcome: Outcome | Promise<Outcome>) => void;
  readonly reject: (error: unknown) => void;
  /** Until when, by performance.now(), it goes next; later it fails as the first did. */
  readonly leaveBy: number;
}

/** In the order of their arrival, from `next` on. */
interface Queue {
  readonly twins: Twin[];
  next: number;
}

/** @param hasRoom whether something of this weight may wait */
export function createTwins(
  submit: (operation: Operation) => Promise<Outcome>,
  hasRoom: (weight: number) => boolean,
  leaveWithinMs: number,
): Twins {
  const queues = new Map<string, Queue>();
  let waitingWeight = 0;

  function join({ twins }: Queue, operation: Operation): Promise<Outcome> {
    const weight = weightOf(operation);
    if (!hasRoom(weight)) return Promise.reject(new BalancectlError("OVERLOADED"));
    waitingWeight += weight;
    const leaveBy = performance.now() + leaveWithinMs;
    return new Promise((resolve, reject) => {
      twins.push({ operation, resolve, reject, leaveBy });
    });
  }

  function go(id: string, queue: Queue, first: Operation): Promise<Outcome> {
    const answer = submit(first);
    answer.then(
      (outcome) => landed(id, queue, first, outcome),
      (error) => failed(id, queue, error),
    );
    return answer;
  }

  function landed(id: string, queue: Queue, first: Operation, outcome: Outcome): void {
    // What is not kept was decided while they waited, so for them too; but of an id that is chosen for an
    // opening each has its own.
    const isKept = outcome.replayed || !isForgotten(outcome);
    const theirs = isKept ? { ...outcome, replayed: true } : outcome;
    for (let twin = shift(queue); twin; twin = shift(queue)) {
      if (!isKept && twin.operation.userId !== first.userId) {
        twin.resolve(go(id, queue, twin.operation));
        return;
      }
      twin.resolve(theirs);
    }
    queues.delete(id);
  }

  function failed(id: string, queue: Queue, error: unknown): void {
    const now = performance.now();
    for (let twin = shift(queue); twin; twin = shift(queue)) {
      if (twin.leaveBy > now) {
        twin.resolve(go(id, queue, twin.operation));
        return;
      }
      twin.reject(error);
    }
    queues.delete(id);
  }

  function shift(queue: Queue): Twin | undefined {
    const twin = queue.twins[queue.next];
    if (twin === undefined) return undefined;
    queue.next += 1;
    waitingWeight -= weightOf(twin.operation);
    return twin;
  }

  return {
    submit: (operation) => {
      const { idempotency } = operation;
      if (idempotency === undefined) return submit(operation);
      const { client = "" } = operation;
      const id = `${client}/${scopedKey(operation, idempotency)}/${idempotency.fingerprint}`;
      const queue = queues.get(id);
      if (queue) return join(queue, operation);
      const fresh = { twins: [], next: 0 };
      queues.set(id, fresh);
      return go(id, fresh, operation);
    },
    weight: () => waitingWeight,
  };
}

/** Decided without the key's having been kept. */
function isForgotten({ refusal }: Outcome): boolean {
  return refusal !== null && forgotten.has(refusal);
}

/** apply_operations() keeps all others. */
const forgotten: ReadonlySet<Refusal> = new Set<Refusal>([
  "USER_NOT_FOUND",
  "RECIPIENT_NOT_FOUND",
  "HOLD_NOT_FOUND",
  "USER_EXISTS",
  "IDEMPOTENCY_KEY_REUSED",
]);
