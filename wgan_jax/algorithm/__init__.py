"""The papers' Algorithm 1: losses, optimizers, noise, the schedule, the state, and the steps that use them."""
