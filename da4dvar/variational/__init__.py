"""The variational cost, its priors and its solvers, on tensors.

U(x, y, Ω) = ‖H(x) − y‖²_Ω + λ ρ(‖x − Φ(x)‖), with tensors of shape ``(batch, channel, *space)``. Knows
torch and no labelled arrays; imports `errors` and `layout` only. A prior Φ goes to `priors`, the right-hand
side of an ODE to `dynamics`, a minimiser to `solvers`, an operator H to `observation`: one class a file, and
its name to `kinds`.
"""
