"""A chat in the terminal, through the gateway: any OpenAI client becomes one that learns.

    pip install openai
    atles start
    python examples/chat_openai.py            # an empty line ends the chat, and ATLES learns from it

Tell it something, end the chat, and begin another: it knows. After some chats a new adapter answers.
"""

import os
import sys
import urllib.request
from urllib.parse import quote

from openai import APIError, OpenAI

url = os.environ.get("ATLES_URL", "http://127.0.0.1:8765")
key = os.environ.get("ATLES_KEY", "none")  # a key is wanted only where `atles keys add` made one
client = OpenAI(base_url=f"{url}/v1", api_key=key)


def main() -> None:
    history: list[dict[str, str]] = []
    session = ""
    while line := input("you: "):
        history.append({"role": "user", "content": line})
        try:
            with client.chat.completions.with_streaming_response.create(
                model="atles", messages=history, stream=True, max_tokens=200
            ) as response:
                session = response.headers["x-atles-session"]
                print(f"{response.headers['x-atles-adapter']}: ", end="")
                answer = ""
                for chunk in response.parse():
                    piece = (chunk.choices[0].delta.content or "") if chunk.choices else ""
                    print(piece, end="", flush=True)
                    answer += piece
                print()
        except APIError as error:
            sys.exit(f"{url} did not answer: {error}; does `atles status` show a gateway?")
        history.append({"role": "assistant", "content": answer})
    if session:
        end = urllib.request.Request(
            f"{url}/api/sessions/{quote(session, safe='')}/end",
            data=b"{}",
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {key}"},
        )
        urllib.request.urlopen(end).close()
        print("The chat is over; ATLES learns from it.")


if __name__ == "__main__":
    main()
