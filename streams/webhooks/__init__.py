"""Webhooks: endpoints of subscribers that are told rows of the feed by HTTP, signed as Standard Webhooks 1.0 says."""
