DROP TABLE entries;
DROP TABLE users;
DROP FUNCTION refuse_balance_without_entry();
DROP FUNCTION refuse_user_removal();
DROP FUNCTION refuse_entry_change();
