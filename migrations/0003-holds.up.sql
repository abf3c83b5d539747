-- Money taken out of the spendable balance until it is captured, voided or expires.

CREATE TABLE holds (
  user_id    bigint NOT NULL,
  id         uuid NOT NULL,
  amount     bigint NOT NULL,
  -- What a capture took; the rest went back.
  captured   bigint,
  state      text NOT NULL DEFAULT 'open',
  expires_at timestamptz,
  created_at timestamptz NOT NULL,
  closed_at  timestamptz,
  PRIMARY KEY (user_id, id),
  CONSTRAINT holds_amount_positive CHECK (amount > 0),
  CONSTRAINT holds_captured_range CHECK (captured BETWEEN 1 AND amount),
  CONSTRAINT holds_state_known CHECK (state IN ('open', 'captured', 'voided', 'expired')),
  CONSTRAINT holds_captured_when CHECK ((state = 'captured') = (captured IS NOT NULL)),
  CONSTRAINT holds_closed_when CHECK ((state <> 'open') = (closed_at IS NOT NULL))
);

-- Which of a user's open holds are due.
CREATE INDEX holds_due ON holds (user_id, expires_at) WHERE state = 'open';
