"""Networks that say which tools an instruction asks for, and in which order: one learnt from examples, one for any tools."""
