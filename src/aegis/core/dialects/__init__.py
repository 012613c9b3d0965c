"""One vendor's protocol said in another's: OpenAI's chat completions and Anthropic's messages, both ways. Pure.

Policy: what the other side cannot do is refused by name, before anything is sent. What changes no answer (a hint for a
cache, thoughts of an earlier turn) is left out, and said to be.
"""
