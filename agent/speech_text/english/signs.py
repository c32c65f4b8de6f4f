"""English words for signs, for LaTeX's commands and for powers."""

from __future__ import annotations

from types import MappingProxyType

_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
    "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau",
    "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "gamma", "Δ": "delta", "Θ": "theta", "Λ": "lambda",
    "Π": "pi", "Σ": "sigma", "Φ": "phi", "Ψ": "psi", "Ω": "omega",
}  # fmt: skip

SIGNS = MappingProxyType({
    "&": "and", "+": "plus", "=": "equals", "≈": "about", "±": "plus or minus", "×": "times", "÷": "divided by",
    "−": "minus", "≤": "at most", "≥": "at least", "≠": "not equal to", "<": "less than", ">": "more than",
    "∞": "infinity", "√": "the square root of", "∑": "the sum of", "∫": "the integral of", "∈": "in",
    "∴": "therefore", "%": "percent", "‰": "per mille", "°": "degrees", "§": "section", "@": "at",
    "^": "to the power of",
    "$": "dollars", "€": "euros", "£": "pounds", "¥": "yen", "₹": "rupees", "₿": "bitcoin",
    **_GREEK,
})  # fmt: skip

COMMANDS = MappingProxyType({
    "log": "the logarithm of", "ln": "the natural logarithm of", "sin": "sine", "cos": "cosine", "tan": "tangent",
    "lim": "the limit of", "forall": "for all", "exists": "there is", "cup": "union", "cap": "intersection",
    "subset": "is a subset of", "partial": "partial", "nabla": "nabla", "implies": "implies", "iff": "if and only if",
    "propto": "is proportional to", "equiv": "is equivalent to", "mid": "given", "prod": "the product of",
    "varepsilon": "epsilon", "varphi": "phi",
})  # fmt: skip

SUMS = MappingProxyType({"sum": "the sum", "int": "the integral", "prod": "the product"})

POWERS = MappingProxyType({"2": "squared", "3": "cubed", "-1": "inverse", "′": "prime"})
