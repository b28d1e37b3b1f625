-- Version 6. session_memories is a public contract (docs/storage.md); its columns never change.

create table if not exists users (
    id   integer primary key,
    name text not null unique                -- '' is the user of an application that names none
) strict;

create table if not exists sessions (
    session_id    text primary key,
    revision      integer not null,          -- 1, and one more each time the session grew
    split         text not null check (split in ('train', 'heldout')),
    start_time    text,
    end_time      text,
    received_at   text not null,             -- of this revision
    message_count integer not null,
    waiting_for   text not null default '',  -- '' or 'training': its log is written when that has ended
    number        integer not null unique,   -- what other tables name it by: short
    user          integer not null references users,
    metadata      text not null default '{}' -- JSON object
) strict;

create table if not exists messages (
    rowid      integer primary key,          -- user << 40 | running number: a user's messages are one range
    id         text not null unique,         -- hashes the content as it came and the message before it
    session    integer not null references sessions (number) on delete cascade,
    position   integer not null,
    role       text not null,
    name       text not null default '',     -- of the speaker, where the chat names one
    text       text not null,                -- its words, scrubbed
    timestamp  text not null,                -- UTC, to the second: its own time, else the session's
    timed      integer not null default 0,   -- whether that is its own time
    raw        text,                         -- JSON object, scrubbed, where the columns do not say it all
    rejected   integer not null default 0,   -- an answer that the user corrected: not recalled
    unique (session, position)
) strict;

-- The words of messages, as an index only: it stores no text (content = ''), so nothing is kept twice, and a row leaves it
-- by the FTS5 command 'delete' with the very text that was put in (store/turns.py makes it again from the message).
-- Neighbours are not indexed: rowids of a session follow each other, so a message's context is arithmetic.
create virtual table if not exists turns using fts5(text, content = '', tokenize = 'porter unicode61');

-- What a message means, as the program `embed` sees it; made from the message, so it can be made again.
create table if not exists turn_vectors (
    rowid  integer primary key references messages (rowid) on delete cascade,
    vector blob not null                     -- 384 signed bytes, round(127 · x) of a vector of length 1
) strict;

-- What is remembered of a user: what was said in sessions, reconciled over time.
create table if not exists memories (
    number       integer primary key,        -- user << 40 | running number, as in messages
    id           text not null unique,       -- hashes user, type, words and where they were first said
    user         integer not null references users,
    type         text not null check (type in ('fact', 'preference', 'correction', 'procedure', 'question')),
    text         text not null,
    folded       text not null,              -- the text as duplicates are recognised: words in lower case
    said_by      text not null,              -- user, or assistant; 'you' for what was written by hand
    confidence   real not null,
    slot         text not null default '',
    value        text not null default '',
    valid_from   text not null,
    valid_to     text,                       -- null as long as it holds
    replaced_by  text not null default '',   -- id of the memory that ended it
    ended_how    text not null default '' check (
        ended_how in ('', 'replaced', 'refined', 'contradicted', 'ended', 'edited', 'faded')),
    pinned       integer not null default 0, -- never fades
    edited       integer not null default 0, -- written or changed by hand: stays when its session is learned again
    extractor    text not null,
    created_at   text not null,
    last_used_at text,
    uses         integer not null default 0
) strict;
create index if not exists memories_by_slot on memories (user, slot) where slot <> '';
create index if not exists memories_by_words on memories (user, folded);

create table if not exists memory_sources (
    memory  integer not null references memories on delete cascade,
    message integer not null references messages on delete cascade,
    primary key (memory, message)
) strict, without rowid;
create index if not exists memory_sources_by_message on memory_sources (message);

create virtual table if not exists memories_fts using fts5(text, content = 'memories', content_rowid = 'number',
    tokenize = 'porter unicode61', detail = column);

create table if not exists topics (
    number integer primary key,
    user   integer not null references users,
    folded text not null,
    text   text not null,
    unique (user, folded)
) strict;

create table if not exists topic_sessions (
    topic   integer not null references topics on delete cascade,
    session integer not null references sessions (number) on delete cascade,
    primary key (topic, session)
) strict, without rowid;
create index if not exists topic_sessions_by_session on topic_sessions (session);

-- Tokens that a model server was asked for, by day (UTC).
create table if not exists spending (
    day    text primary key,
    tokens integer not null
) strict;

create table if not exists session_memories (
    id            integer primary key autoincrement,
    session_id    text not null unique,
    timestamp     text not null,
    topics        text,                      -- JSON array
    preferences   text,                      -- JSON array
    message_count integer,
    data          text                       -- JSON object
) strict;

create table if not exists examples (
    id           text primary key,           -- hashes session, kind and messages
    session_id   text not null references sessions on delete cascade,
    message_id   text not null,              -- the message whose words are the answer
    kind         text not null check (kind in ('pair', 'chat', 'correction', 'restated')),
    instruction  text not null,
    output       text not null,
    messages     text not null,              -- JSON array, chat format
    created_at   text not null,
    withdrawn_at text,                       -- a later message showed that it was wrong
    rejected     text not null default ''    -- the answer that the user turned down for this one
) strict;
create index if not exists examples_by_session on examples (session_id);

create table if not exists datasets (
    id          text primary key,            -- hashes the ids of its examples
    path        text not null,
    manifest    text not null,               -- JSON: the counts and the sessions
    created_at  text not null
) strict;

create table if not exists dataset_examples (
    dataset_id text not null references datasets on delete cascade,
    example_id text not null,
    primary key (dataset_id, example_id)
) strict, without rowid;
create index if not exists dataset_examples_by_example on dataset_examples (example_id);

create table if not exists adapters (
    name       text primary key,
    base       text not null,
    dataset_id text not null references datasets,
    path       text not null,
    state      text not null check (state in ('candidate', 'promoted', 'rejected', 'retired')),
    reason     text not null,
    created_at text not null,
    train      text not null,                -- JSON: TrainReport
    verdict    text                          -- JSON: Verdict
) strict;

-- The one pointer: the last row says what serves; '' is the base model itself.
create table if not exists releases (
    seq      integer primary key autoincrement,
    adapter  text not null,
    previous text not null,
    action   text not null check (action in ('promote', 'rollback', 'retire')),
    reason   text not null,
    at       text not null
) strict;

create table if not exists steps (
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

create table if not exists session_logs (
    seq        integer primary key autoincrement,
    session_id text not null,
    revision   integer not null,
    at         text not null,
    entry      text not null,                -- JSON: SessionLog
    unique (session_id, revision)
) strict;

create table if not exists jobs (
    id          integer primary key autoincrement,
    kind        text not null,
    key         text not null,
    lane        text not null,
    payload     text not null,               -- JSON object
    state       text not null check (state in ('waiting', 'running', 'dead')),
    attempts    integer not null default 0,
    run_after   real not null,               -- Unix time
    lease_owner text not null default '',
    lease_until real not null default 0,     -- Unix time
    error       text not null default '',
    created_at  text not null,
    finished_at text
) strict;
create unique index if not exists jobs_waiting on jobs (key) where state = 'waiting';
-- Delayed jobs and those of other lanes are never walked past.
create index if not exists jobs_due on jobs (lane, run_after, id) where state = 'waiting';
create index if not exists jobs_leased on jobs (lane, lease_until) where state = 'running';

-- Who may use the gateway. The keys themselves are nowhere.
create table if not exists api_keys (
    id         text primary key,             -- the readable part of a key
    name       text not null unique,
    hash       text not null,                -- SHA-256 of the key
    user       text not null,                -- whose memory it sees
    admin      integer not null default 0,
    created_at text not null
) strict;

-- Sessions of which something was forgotten, as often as it was: each machine then brings its own files in line.
create table if not exists forgotten (
    seq        integer primary key autoincrement,
    session_id text not null
) strict;

-- What users said of answers. The session may not be stored yet, so nothing refers to it.
create table if not exists feedback (
    session_id text not null,
    position   integer not null,             -- of the answer
    rating     text not null check (rating in ('up', 'down', 'edit')),
    text       text not null default '',     -- the better answer
    at         text not null,
    primary key (session_id, position)
) strict, without rowid;

-- By what the gateway finds a conversation that its client goes on with, and an answer that its user rates.
create index if not exists sessions_by_chain on sessions (json_extract(metadata, '$.chain'))
    where json_extract(metadata, '$.chain') is not null;
create index if not exists messages_by_answer on messages (json_extract(raw, '$.metadata.answer')) where raw is not null;
