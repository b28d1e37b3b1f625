"""The gateway: OpenAI's API in front, any model behind. It forwards, and records on the side.

    server.py         starts and ends it; the routes
    access.py         who may come in: keys, hosts, origins, limits; cors.py, which web pages may read
    proxy.py          one request on its way to a model server and back; its bodies.py, headers.py
    models.py         which server a model name means; adapters.py, who serves ATLES's own
    said.py           what a request and an answer say, for each of the APIs; streamed.py, what a stream says
    conversations.py  which conversation a request goes on with
    conversation.py   one conversation, as a tree; chain.py, what its messages are known by
    at_hand.py        the conversations that are open; entries.py, by what they are found
    memory.py         what is remembered, put before a message
    api/              what the commands do, as JSON; openapi.py describes it

Async lives here and nowhere else; what blocks (the database, files that are synced) runs in a few threads.
"""
