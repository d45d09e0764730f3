"""The only loop around calls; async, and through ports only.

run         the one door: attempts in order until one answers, reserved before and booked after
call        one attempt: a request down, events up to one sink, exactly one end
discover    which model a server has, where the server decides what it is called
book        what an attempt becomes in the ledger: its tokens, its cost, how both are known
settle      what an abandoned reply really cost, asked of its seller afterwards
waiting     waits that a cancellation always ends
agent       the loop of a model with tools, up to an answer or a limit
structured  answers that must fit a schema: ask, check, and have a wrong one mended once
"""
