/** All users of a run, several at a time: each connection works through its share of them. */
import type { Api } from "./api.ts";
import { prepareSubject, readBack, type Subject, type SubjectAfter } from "./subject.ts";
import type { UserCounts } from "./tally.ts";

/** In order of their ids. Throws what the API throws, at the first problem. */
export async function prepareSubjects(
  apis: readonly Api[],
  wanted: { readonly balance?: number | undefined; readonly userId?: number | undefined },
  users: number,
  onEach: () => void,
): Promise<Subject[]> {
  const subjects: Subject[] = [];
  await shareOut(apis, users, async (api) => {
    subjects.push(await prepareSubject(api, wanted));
    onEach();
  });
  return subjects.sort((a, b) => a.id - b.id);
}

/** In the order of `subjects`; `countsOf` is asked with their indexes. Never throws. */
export async function readAllBack(
  apis: readonly Api[],
  subjects: readonly Subject[],
  change: number,
  countsOf: (user: number) => UserCounts,
  onEach: () => void,
): Promise<SubjectAfter[]> {
  const after: SubjectAfter[] = [];
  await shareOut(apis, subjects.length, async (api, index) => {
    const { succeeded, insufficientFunds, failed } = countsOf(index);
    const sent = succeeded + insufficientFunds + failed;
    const subject = subjects[index] as Subject;
    after[index] = await readBack(api, subject, change, sent, failed);
    onEach();
  });
  return after;
}

async function shareOut(
  apis: readonly Api[],
  total: number,
  work: (api: Api, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const run = async (api: Api) => {
    while (next < total) await work(api, next++);
  };
  await Promise.all(apis.map(run));
}
