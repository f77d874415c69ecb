"""The HTTP API of one site: `application` makes it of a control room and a gate, `server` serves it with the console."""
