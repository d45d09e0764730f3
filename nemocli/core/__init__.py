"""The values that flow and the decisions about them; the standard library and nothing of the world.

What is asked
  request       messages, tools and the wish itself, free of any provider's spelling
  prompt        one message out of what was typed, piped and attached; code out of an answer
  schema        a short list of fields as a JSON Schema

Who is asked
  provider      one access path, and all that differs between them
  card          one model, wherever it is served
  profile       the mappings of profile files to both, and how one layer covers another
  plan          what was typed to targets in order
  fit           whether weights fit on GPUs, by arithmetic and by the vendor's list

What comes back
  events        the parts of a reply and its one end, and the fold that adds them up
  usage         token counts, totals with their parts inside
  outcome       whether a reply that ended well is an answer at all
  faults        what can go wrong, and the exit code of each

What is done about it
  policy        again, next or stop
  backoff       when to ask again: one formula, and what a kind of fault means
  budget        reserve before, settle after
  money         dated prices and exact costs

What is asked a million times
  records       records of an input, how they ended, and their attempts as JSON

What everything stands on
  ports         the shapes of the outside world
  settings      every setting, and which source wins
  redact        keys and passwords taken out of what is shown or written
  text          text from elsewhere, made harmless for a terminal
  quantities    sizes and spans as people read them
  moments       points in time as the ledger keeps them and as others read them
  value_class   classes of values: shown, compared and hashed by their fields
  values        JSON as a type, and the few questions asked of it
"""
