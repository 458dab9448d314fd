#!/usr/bin/env python3
"""Time of an epoch of the dense autoencoder with PyTorch on the CPU: what epoch.rs trains, with the same batches, split and optimiser.
usage: epoch.py [SPECTRA [BANDS [EPOCHS [THREADS]]]]"""
import sys
import time

import torch

count, bands, epochs, threads = (int(a) for a in (sys.argv[1:] + ["100000", "255", "3", "2"][len(sys.argv) - 1 :]))
torch.set_num_threads(threads)
torch.manual_seed(1)
widths = [bands, 128, 64, 32, 16, 4, 16, 32, 64, 128, bands]
layers = []
for a, b in zip(widths, widths[1:]):
    layer = torch.nn.Linear(a, b)
    torch.nn.init.orthogonal_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    layers += [layer, torch.nn.Tanh()]
model = torch.nn.Sequential(*layers[:-1])
optimiser = torch.optim.RMSprop(model.parameters(), lr=1e-3, alpha=0.9, eps=1e-7)
loss_of = torch.nn.BCEWithLogitsLoss()
spectra = (torch.arange(count * bands, dtype=torch.float64) * 0.618).frac().float().reshape(count, bands)
lowest, highest = spectra.min(0).values, spectra.max(0).values
factor = 1 / (highest - lowest)
rows = torch.randperm(count)
learned, judged = rows[: count - round(count * 0.1)], rows[count - round(count * 0.1) :]
for _ in range(epochs):
    start, total = time.perf_counter(), 0.0
    for some in learned[torch.randperm(len(learned))].split(256):
        batch = (spectra[some] - lowest) * factor
        optimiser.zero_grad()
        loss = loss_of(model(batch), batch)
        loss.backward()
        optimiser.step()
        total += loss.item() * len(some)
    with torch.no_grad():
        for some in judged.split(1024):
            batch = (spectra[some] - lowest) * factor
            loss_of(model(batch), batch)
    print(f"{count} spectra of {bands} bands: {time.perf_counter() - start:.2f} s, loss {total / len(learned):.5f}")
