/** (D) The better way with the same means: an update that only happens where the money is there. */
import { literal, Op } from "sequelize";
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
  const balance = await sequelize.transaction(async (transaction) => {
    const [, changed] = await User.update(
      { balance: literal(`balance + (${amount})`) },
      {
        where: { id, [Op.and]: literal(`balance + (${amount}) >= 0`) },
        returning: true,
        transaction,
      },
    );
    const after = changed[0]?.balance;
    if (after === undefined) return undefined;
    await Entry.create({ userId: id, amount, balance: after }, { transaction });
    return after;
  });
  if (balance !== undefined) res.json(changedBody(id, balance, amount));
  else if ((await User.count({ where: { id } })) > 0) res.status(422).json(insufficientBody);
  else res.status(404).json(notFoundBody);
});
