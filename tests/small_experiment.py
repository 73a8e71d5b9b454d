"""An experiment that takes seconds."""

CONFIG = """
title: Two networks
text: On a quarter of the signals.
seeds: [1, 2]
threads: 1
quick:
  seeds: [1]
  only: ["tiny*"]
  trainer.max_epochs: 1
parts:
  - name: signals
    title: Tiny & book
    text: Which is better?
    runs:
      tiny: {config: mnist1d, model.network: tiny, data.fraction: 0.25, trainer.max_epochs: 3}
      book: {config: mnist1d_book, data.fraction: 0.25, trainer.max_epochs: 3}
    against: book
    closer: tiny
    references:
      people: {accuracy: 0.96}
      a network of others: {accuracy: 0.94, parameters: 5000}
"""
