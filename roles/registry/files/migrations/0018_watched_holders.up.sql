-- A run that was killed in another container, or on another machine, kept its model locked until the lock ended.
-- Now whoever keeps a lock has an advisory lock on their operation as well, which ends with their session: the
-- server itself sees a process die, wherever it was.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

ALTER TABLE operation_locks ADD COLUMN watched boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN operation_locks.watched IS
    'the holder has an advisory lock on hashtextextended(operation_id, 0) for as long as its session lives';
