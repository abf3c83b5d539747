/**
 * What is counted, as plain data that crosses a process and is added up. By hand, because a request pays for it: a
 * labelled observation of prom-client builds and hashes its labels anew each time, this one is an addition.
 */

/** By "{label="value"}" or "". */
export type Values = Record<string, number>;

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  /** How those of several processes become one. */
  readonly together: "sum" | "max";
  /** Of a histogram: _bucket, _sum and _count are in the names. */
  readonly values: Values;
}

export type Snapshot = readonly Family[];

export interface Counter {
  add(labels: string, by?: number): void;
}

export interface Series {
  observe(value: number): void;
}

export interface Registry {
  counter(name: string, help: string): Counter;
  /** @param bounds upper, ascending */
  histogram(name: string, help: string, bounds: readonly number[]): (labels?: Labels) => Series;
  /** Asked when somebody looks. Undefined is left out. */
  gauge(name: string, help: string, ask: () => Values, together?: Family["together"]): void;
  snapshot(): Snapshot;
}

export type Labels = Readonly<Record<string, string | number>>;

export function createRegistry(): Registry {
  const asks: (() => Family)[] = [];

  return {
    counter: (name, help) => {
      const values: Values = {};
      asks.push(() => ({ name, help, type: "counter", together: "sum", values: { ...values } }));
      return {
        add: (labels, by = 1) => {
          values[labels] = (values[labels] ?? 0) + by;
        },
      };
    },
    histogram: (name, help, bounds) => {
      const all: HistogramSeries[] = [];
      asks.push(() => ({
        ...{ name, help, type: "histogram", together: "sum" },
        values: Object.assign({}, ...all.map((series) => bucketsOf(series, bounds))) as Values,
      }));
      return (labels = {}) => {
        const counts = new Array<number>(bounds.length + 1).fill(0);
        const series: HistogramSeries = { labels, counts, sum: 0 };
        all.push(series);
        return {
          observe: (value) => {
            let at = 0;
            while (at < bounds.length && value > (bounds[at] as number)) at += 1;
            counts[at] = (counts[at] as number) + 1;
            series.sum += value;
          },
        };
      };
    },
    gauge: (name, help, ask, together = "sum") => {
      asks.push(() => ({ name, help, type: "gauge", together, values: ask() }));
    },
    snapshot: () => asks.map((ask) => ask()),
  };
}

interface HistogramSeries {
  readonly labels: Labels;
  readonly counts: number[];
  sum: number;
}

function bucketsOf({ labels, counts, sum }: HistogramSeries, bounds: readonly number[]): Values {
  const values: Values = {};
  let count = 0;
  for (const [at, bound] of [...bounds, "+Inf"].entries()) {
    count += counts[at] ?? 0;
    values[`_bucket${labelText({ ...labels, le: bound })}`] = count;
  }
  values[`_sum${labelText(labels)}`] = sum;
  values[`_count${labelText(labels)}`] = count;
  return values;
}

/** As the text form has it; "" for none. */
export function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => {
    return `${name}="${String(value).replace(/[\\"\n]/g, (char) => (char === "\n" ? "\\n" : `\\${char}`))}"`;
  });
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

/** Of several processes as one. */
export function together(parts: readonly Snapshot[]): Snapshot {
  const families = new Map<string, Family>();
  for (const family of parts.flat()) {
    const before = families.get(family.name);
    families.set(family.name, before === undefined ? family : addedUp(before, family));
  }
  return [...families.values()];
}

function addedUp(one: Family, other: Family): Family {
  const values = { ...one.values };
  for (const [labels, value] of Object.entries(other.values)) {
    const before = values[labels];
    if (before === undefined) values[labels] = value;
    else values[labels] = one.together === "max" ? Math.max(before, value) : before + value;
  }
  return { ...one, values };
}

/** @see https://prometheus.io/docs/instrumenting/exposition_formats/ */
export function textOf(snapshot: Snapshot): string {
  const lines = snapshot.flatMap(({ name, help, type, values }) => [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...Object.entries(values).map(([labels, value]) => `${name}${labels} ${value}`),
  ]);
  return `${lines.join("\n")}\n`;
}
