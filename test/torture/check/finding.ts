/** What a check has to say: empty is good. */
export interface Finding {
  readonly class: "lost" | "doubled" | "wrong";
  readonly text: string;
  readonly question?: number;
  readonly user?: number;
}

export function wrong(text: string, about: Pick<Finding, "question" | "user"> = {}): Finding {
  return { class: "wrong", text, ...about };
}
