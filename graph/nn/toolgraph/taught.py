"""Layers of an encoder with gradients: `graph.nn.encoders.layers` applies what comes of them. Needs torch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from graph.nn.encoders.layers import HEAD, TINY, Floats

DROPOUT = 0.1


class TaughtLayer(nn.Module):
    """Begins with the encoder's own weights, whose names are the same."""

    def __init__(self, weights: Mapping[str, Floats]) -> None:
        super().__init__()
        width = len(weights["out_norm.bias"])
        self.ask, self.hear = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.hear_norm, self.out_norm = nn.LayerNorm(width, eps=float(TINY)), nn.LayerNorm(width, eps=float(TINY))
        self.drop = nn.Dropout(DROPOUT)
        self.load_state_dict({name: torch.tensor(part) for name, part in weights.items()})

    def forward(self, states: Tensor, present: Tensor) -> Tensor:
        """(b, m, width); `present` (b, m) marks tokens that are more than padding."""
        many, tokens, width = states.shape
        query, key, value = self.ask(states).view(many, tokens, 3, width // HEAD, HEAD).permute(2, 0, 3, 1, 4)
        heard = functional.scaled_dot_product_attention(query, key, value, attn_mask=present[:, None, None], scale=1.0)
        states = self.hear_norm(states + self.drop(self.hear(heard.transpose(1, 2).reshape(many, tokens, width))))
        found: Tensor = self.out_norm(states + self.drop(self.narrow(functional.gelu(self.wide(states)))))
        return found
