from blog.factory import make

application = make()
