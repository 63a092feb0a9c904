"""How an activation is made. Nothing here knows a particular activation."""
