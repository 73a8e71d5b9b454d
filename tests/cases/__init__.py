"""The tables: which operations there are, and with which arguments each is tested."""

from cases import (
    adaptive_pooling,
    avg_pooling,
    conv,
    conv_transpose,
    max_pooling,
    own,
    resampling,
    unfolding,
    unpooling,
)

TABLES = [conv, conv_transpose, max_pooling, avg_pooling, adaptive_pooling, unpooling, resampling, unfolding, own]
OPERATIONS = [operation for table in TABLES for operation in table.OPERATIONS]
LAYERS = [layer for table in TABLES for layer in table.LAYERS]
