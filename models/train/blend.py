"""Weights between those of two checkpoints in float, one trained on from the other: `train.py --start` goes on with them.

    python models/train/blend.py FIRST SECOND SHARE BLEND

SHARE of the first, the rest of the second. BatchNorm's statistics are blended too, which is not what the blend
makes of the data: `train.py` measures them anew at its next validation.
"""

import sys

import torch


def main():
    if len(sys.argv) != 5:
        raise SystemExit(__doc__)
    first, second = (torch.load(path, map_location="cpu", weights_only=True)["average"] for path in sys.argv[1:3])
    share = float(sys.argv[3])
    blend = {name: share * first[name] + (1.0 - share) * tensor if name in first and tensor.is_floating_point() else tensor
             for name, tensor in second.items()}
    torch.save({"average": blend}, sys.argv[4])


if __name__ == "__main__":
    main()
