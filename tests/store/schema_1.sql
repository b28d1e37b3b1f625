-- Version 1. session_memories is a public contract (docs/storage.md); its columns never change.

create table sessions (
    session_id    text primary key,
    revision      integer not null,          -- 1, and one more each time the session grew
    split         text not null check (split in ('train', 'heldout')),
    start_time    text,
    end_time      text,
    received_at   text not null,             -- of this revision
    message_count integer not null,
    waiting_for   text not null default '',  -- '' or 'training': its log is written when that has ended
    raw           text not null              -- the session file's JSON object
) strict;

create table messages (
    rowid      integer primary key,
    id         text not null unique,         -- hashes the content and the message before it
    session_id text not null references sessions on delete cascade,
    position   integer not null,
    role       text not null,
    text       text not null,
    timestamp  text not null,
    rejected   integer not null default 0,   -- an answer that the user corrected: not recalled
    unique (session_id, position)
) strict;

-- A message is found by its own words and, with less weight, by those of the message before it:
-- an answer is found by its question.
create virtual table messages_fts using fts5(body, previous, tokenize = 'porter unicode61');

create table session_memories (
    id            integer primary key autoincrement,
    session_id    text not null unique,
    timestamp     text not null,
    topics        text,                      -- JSON array
    preferences   text,                      -- JSON array
    message_count integer,
    data          text                       -- JSON object
) strict;

create table examples (
    id           text primary key,           -- hashes session, kind and messages
    session_id   text not null references sessions on delete cascade,
    message_id   text not null,              -- the message whose words are the answer
    kind         text not null check (kind in ('pair', 'chat', 'correction', 'restated')),
    instruction  text not null,
    output       text not null,
    messages     text not null,              -- JSON array, chat format
    created_at   text not null,
    withdrawn_at text                        -- a later message showed that it was wrong
) strict;
create index examples_by_session on examples (session_id);

create table datasets (
    id          text primary key,            -- hashes the ids of its examples
    path        text not null,
    manifest    text not null,               -- JSON: the counts and the sessions
    created_at  text not null
) strict;

create table dataset_examples (
    dataset_id text not null references datasets on delete cascade,
    example_id text not null,
    primary key (dataset_id, example_id)
) strict, without rowid;

create table adapters (
    name       text primary key,
    base       text not null,
    dataset_id text not null references datasets,
    path       text not null,
    state      text not null check (state in ('candidate', 'promoted', 'rejected')),
    reason     text not null,
    created_at text not null,
    train      text not null,                -- JSON: TrainReport
    verdict    text                          -- JSON: Verdict
) strict;

-- The one pointer: the last row says what serves; '' is the base model itself.
create table releases (
    seq      integer primary key autoincrement,
    adapter  text not null,
    previous text not null,
    action   text not null check (action in ('promote', 'rollback')),
    reason   text not null,
    at       text not null
) strict;

create table steps (
    session_id text not null references sessions on delete cascade,
    revision   integer not null,
    step       text not null,
    seconds    real not null,
    attempts   integer not null,
    error      text not null default '',
    result     text not null default '{}',   -- JSON object: what the step made
    at         text not null,
    primary key (session_id, revision, step)
) strict, without rowid;

create table session_logs (
    seq        integer primary key autoincrement,
    session_id text not null,
    revision   integer not null,
    at         text not null,
    entry      text not null,                -- JSON: SessionLog
    unique (session_id, revision)
) strict;

create table jobs (
    id          integer primary key autoincrement,
    kind        text not null,
    key         text not null,
    lane        text not null,
    payload     text not null,               -- JSON object
    state       text not null check (state in ('waiting', 'running', 'done', 'dead')),
    attempts    integer not null default 0,
    run_after   real not null,               -- Unix time
    lease_owner text not null default '',
    lease_until real not null default 0,     -- Unix time
    error       text not null default '',
    created_at  text not null,
    finished_at text
) strict;
create unique index jobs_waiting on jobs (key) where state = 'waiting';
-- Delayed jobs and those of other lanes are never walked past.
create index jobs_due on jobs (lane, run_after, id) where state = 'waiting';
create index jobs_leased on jobs (lane, lease_until) where state = 'running';
