"""SQLAlchemy on aiosqlite: tables, sessions, transactions that fail, many readers at once."""

import asyncio
import os
import tempfile

from sqlalchemy import ForeignKey, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload


class Base(DeclarativeBase):
    pass


class Owner(Base):
    __tablename__ = "owners"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    accounts: Mapped[list["Account"]] = relationship(back_populates="owner")


class Account(Base):
    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id"))
    owner: Mapped[Owner] = relationship(back_populates="accounts")


async def fill(sessions: async_sessionmaker) -> None:
    async with sessions.begin() as session:
        for number in range(10):
            accounts = [Account(balance=number * 10 + place) for place in range(3)]
            session.add(Owner(name=f"owner {number}", accounts=accounts))


async def balance_of(sessions: async_sessionmaker, name: str) -> int:
    async with sessions() as session:
        query = select(func.sum(Account.balance)).join(Owner).where(Owner.name == name)
        return (await session.scalars(query)).one()


async def add_twice(sessions: async_sessionmaker) -> None:
    try:
        async with sessions.begin() as session:
            session.add(Owner(name="owner 1"))
    except IntegrityError as error:
        print("refused:", error.orig)


async def main(path: str) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    await fill(sessions)
    names = [f"owner {number}" for number in range(10)]
    print(await asyncio.gather(*(balance_of(sessions, name) for name in names)))
    await add_twice(sessions)
    async with sessions() as session:
        query = select(Owner).options(selectinload(Owner.accounts)).order_by(Owner.name)
        for owner in (await session.scalars(query)).all()[:2]:
            print(owner.name, [account.balance for account in owner.accounts])
    async with engine.connect() as connection:
        result = await connection.stream(select(Account.balance).order_by(Account.id))
        print([row.balance async for row in result])
    await engine.dispose()


with tempfile.TemporaryDirectory() as folder:
    asyncio.run(main(os.path.join(folder, "accounts.db")))
