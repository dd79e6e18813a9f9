"""The priors, dynamics, observation operators, costs and solvers that a recipe or a model file may name.

A new one is a line here; recipes, model files, error messages and tests read this list.
"""

# As "module:Class", so that nothing is imported before it is asked for.
KINDS: dict[str, dict[str, str]] = {
    "prior": {
        "unet": "da4dvar.variational.priors.unet:UNet",
        "autoencoder": "da4dvar.variational.priors.autoencoder:DenseAutoencoder",
        "flow": "da4dvar.variational.priors.flow:Flow",
        "pca": "da4dvar.variational.priors.pca:PCA",
        "covariance": "da4dvar.variational.priors.covariance:Covariance",
        "none": "torch.nn.modules.linear:Identity",
    },
    "dynamics": {
        "lorenz63": "da4dvar.variational.dynamics.lorenz63:Lorenz63",
        "lorenz96": "da4dvar.variational.dynamics.lorenz96:Lorenz96",
        "bilinear": "da4dvar.variational.dynamics.bilinear:Bilinear",
    },
    "observation": {
        "identity": "da4dvar.variational.observation:Identity",
        "linear": "da4dvar.variational.observation:LinearOperator",
        "learned": "da4dvar.variational.observation:LearnedOperator",
        "sensors": "da4dvar.variational.observation:Sensors",
    },
    "cost": {
        "variational": "da4dvar.variational.cost:VariationalCost",
    },
    "solver": {
        "chain": "da4dvar.variational.solvers.chain:Chain",
        "conjugate_gradient": "da4dvar.variational.solvers.conjugate_gradient:ConjugateGradient",
        "control_variable": "da4dvar.variational.solvers.control_variable:ControlVariable",
        "correction": "da4dvar.variational.solvers.correction:Correction",
        "direct": "da4dvar.variational.solvers.direct:Direct",
        "fixed_point": "da4dvar.variational.solvers.fixed_point:FixedPoint",
        "gradient_descent": "da4dvar.variational.solvers.gradient_descent:GradientDescent",
        "levenberg_marquardt": "da4dvar.variational.solvers.levenberg_marquardt:LevenbergMarquardt",
        "lstm": "da4dvar.variational.solvers.lstm:ConvLSTM",
    },
}
