/** What commands ask about balances and what they are told, be it by the database or by a server. */
import type {
  Adjusted,
  Entry,
  Hold,
  HoldClosed,
  HoldMade,
  TransferMade,
  User,
  UserInList,
} from "../../client/shapes.ts";
import type { WriteOptions } from "../../ledger/request.ts";
import type { Page } from "../listing.ts";

/** Each throws BalancectlError, a refusal as well. Data is as the API shows it. */
export interface Accounts {
  adjust(userId: number, amount: number, options: WriteOptions): Promise<Replayable<Adjusted>>;
  transfer(asked: Transfer, options: WriteOptions): Promise<TransferMade>;
  hold(userId: number, asked: HoldAsked, options: WriteOptions): Promise<HoldMade>;
  capture(
    userId: number,
    holdId: string,
    asked: CaptureAsked,
    options: WriteOptions,
  ): Promise<HoldClosed>;
  voidHold(userId: number, holdId: string, options: WriteOptions): Promise<HoldClosed>;
  openUser(asked: OpeningAsked, options: WriteOptions): Promise<User>;
  user(userId: number): Promise<UserInList>;
  /** At most `limit` of those beyond an id, in the order of their ids. */
  users(after: number, limit: number): AsyncIterable<Page<UserInList>>;
  /** At most `limit`: open ones first, then closed ones, newest first in each. */
  holds(userId: number, limit: number): AsyncIterable<Page<Hold>>;
  entries(userId: number, span: Span, limit: number): AsyncIterable<Page<Entry>>;
}

export interface Replayable<Data> {
  readonly data: Data;
  /** The key had the answer. */
  readonly replayed: boolean;
}

export interface Transfer {
  readonly from: number;
  readonly to: number;
  readonly amount: number;
}

export interface HoldAsked {
  readonly amount: number;
  readonly lifetimeSeconds: number | undefined;
}

export interface CaptureAsked {
  readonly amount: number | undefined;
  readonly to: number | undefined;
}

export interface OpeningAsked {
  readonly id: number | undefined;
  readonly balance: number;
}

/** Half-open: from <= time < to. */
export interface Span {
  readonly order: "asc" | "desc";
  readonly from: Date | undefined;
  readonly to: Date | undefined;
}
