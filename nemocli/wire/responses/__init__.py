"""The responses dialect: requests out, typed events in.

Asking and reading
  request     how to ask
  reply       payloads to events
  tool_calls  function calls, passed on once
"""
