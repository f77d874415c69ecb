"""The operators' console: pages in a browser over the control room, on the API's own application.

`installation.install` mounts it. Python decides what is shown and sends plain data; the Vue components beside these files draw
it and send back what people ask for. Whatever a device says is text everywhere. Importing it costs a second: import it late.
"""
