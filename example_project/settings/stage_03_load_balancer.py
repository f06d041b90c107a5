"""Several web servers behind a load balancer, which asks each whether it is well."""

from .environment import optional_list, required, required_list
from .stage_02_separate_database import *

DEBUG = False
SECRET_KEY = required("SECRET_KEY", example="fifty random characters, the same on every server")
ALLOWED_HOSTS = required_list("ALLOWED_HOSTS", example="photos.example.org")
CSRF_TRUSTED_ORIGINS = optional_list("CSRF_TRUSTED_ORIGINS")
INSTALLED_APPS = [*INSTALLED_APPS, "scalekit.health"]
MIDDLEWARE = ["scalekit.health.middleware.HealthMiddleware", *MIDDLEWARE]
SCALEKIT_TRUSTED_PROXIES = optional_list("TRUSTED_PROXIES")  # whose word on visitors is believed
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
