DROP TABLE batch_receipts;
DROP FUNCTION open_receipts;
DROP FUNCTION write_receipt;
DROP FUNCTION resolve_receipt;
