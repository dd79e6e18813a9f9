"""The variational cost, its priors and its solvers, on tensors.

U(x, y, Ω) = ‖H(x) − y‖²_Ω + λ ρ(‖x − Φ(x)‖), with tensors of shape ``(batch, channel, *space)``. This
package uses torch but no labelled arrays, and imports only `errors` and `layout`. A prior Φ belongs in
`priors`, the right-hand side of an ODE in `dynamics`, a minimiser in `solvers` and an operator H in
`observation`: one class per file, registered by name in `kinds`.
"""
