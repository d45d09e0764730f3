"""The chat-completions dialect: requests out, replies and streams in.

Asking and reading
  request     how to ask
  reply       payloads to events
  finish      what servers say at the end
  fast        a whole completion of the usual kind, read at once
  tool_calls  pieces of tool calls, brought to one index per call
"""
