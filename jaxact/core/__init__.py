"""How an activation is made; knows no activation."""
