/** (C) The way this is usually written: lock the row, look, save, journal, in one transaction. */
import { changedBody, insufficientBody, invalidBody, notFoundBody } from "./answering.ts";
import { listen, openStore } from "./sequelize.ts";

const { sequelize, User, Entry } = openStore(process.argv[2] ?? "");

listen(async (req, res) => {
  const id = Number(req.params["userId"]);
  const amount: unknown = req.body?.amount;
  if (typeof amount !== "number" || !Number.isSafeInteger(amount) || amount === 0) {
    res.status(400).json(invalidBody);
    return;
  }
  const answer = await sequelize.transaction(async (transaction) => {
    const user = await User.findByPk(id, { transaction, lock: transaction.LOCK.UPDATE });
    if (user === null) return { status: 404, body: notFoundBody };
    if (user.balance + amount < 0) return { status: 422, body: insufficientBody };
    user.balance += amount;
    await user.save({ transaction });
    await Entry.create({ userId: id, amount, balance: user.balance }, { transaction });
    return { status: 200, body: changedBody(id, user.balance, amount) };
  });
  res.status(answer.status).json(answer.body);
});
