"""Bytes to values and back, with no I/O: the one floor that knows how servers speak.

Asking and reading: a room for each dialect, chat/ and responses/
  dialect          the two questions a dialect answers, and the body that all of them share

From the bytes of a reply to payloads
  reply            stream, document or web page; exactly one end, whatever comes
  sse              bytes to server-sent events under any cut
  bulk             JSON in bulk
  jsontext         JSON with exact numbers, and questions that no answer can make fail

From payloads to events
  think            `<think>` in the text of an answer
  leaks            tool calls that a server left in the text of an answer
  sources          citations, each once
  surrogates       halves of characters, put together again
  meter            token counts and money

Refusals
  http             a refusal, or an error inside a good reply, to one Fault
  complaint        what the body says, in any of its shapes
  headers          when to come back, the server's name for the request, the model's end
  kinds            codes and words to kinds of failure
  foreign          replies of other APIs, known by their fields

Beside the call itself
  catalog          listings of models
  settle           the final cost of one reply, asked for after it
  activity         sums by day, as a seller keeps them
  batches          many calls handed over at once, and what is said of them afterwards
"""
